/**
 * What to make valid: a path, or outputs of a derivation, as text with a `!`. Before 1.30 a derivation without outputs means all of them,
 * before 1.13 outputs could not be chosen; since 1.30 it is the file itself, and `!*` means all.
 */
import { fromText } from "../byte-string.ts";
import { allOutputs, type DerivedPath, parseDerivedPath, printDerivedPath } from "../derivation-outputs.ts";
import { isDerivationPath } from "../store-path.ts";
import { converted, list, string, type WireType } from "./wire-type.ts";

export const derivedPath: WireType<DerivedPath> = converted(
  string,
  (text, { storeDir, minor }) => {
    const derived = parseDerivedPath(storeDir, text);
    const isOldForm = minor < 30 && derived.kind === "opaque" && isDerivationPath(derived.path);
    return isOldForm ? { kind: "built", drvPath: derived.path, outputs: allOutputs } : derived;
  },
  (derived, { storeDir, minor }) => {
    const all = derived.kind === "built" && (minor < 13 || (minor < 30 && derived.outputs.kind === "all"));
    return fromText(printDerivedPath(storeDir, all ? { kind: "opaque", path: derived.drvPath } : derived, "!"));
  },
);

/** In the order in which they are wanted. */
export const derivedPaths: WireType<readonly DerivedPath[]> = list(derivedPath);
