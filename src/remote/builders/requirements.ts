/** What a derivation asks of the machine that builds it. */
import type { ByteString } from "../../formats/byte-string.ts";
import { type BasicDerivation, derivationKind, isBuiltin } from "../../formats/derivation/derivation.ts";
import { isJsonArray, isJsonObject, parseJson } from "../../formats/derivation/json-value.ts";
import type { MachineRequirements } from "../../formats/machines.ts";
import { words } from "../../formats/nix-conf.ts";

/** @throws a SiloError for `__json` that is none */
export function requirementsOf(drv: BasicDerivation): MachineRequirements {
  const system = isBuiltin(drv) && drv.system === "builtin" ? "builtin" : drv.system;
  return { system, features: requiredFeatures(drv) };
}

/** Only of these it is known before the build what they make, which other machines and the way back need. */
export function isForMachines(drv: BasicDerivation): boolean {
  const kind = derivationKind(drv);
  return kind === "input-addressed" || kind === "fixed";
}

function requiredFeatures({ env }: BasicDerivation): string[] {
  const json = env.get("__json" as ByteString);
  if (json === undefined) return words(env.get("requiredSystemFeatures" as ByteString) ?? ("" as ByteString));
  const value = parseJson(json);
  const features = isJsonObject(value) ? value.get("requiredSystemFeatures" as ByteString) : undefined;
  if (features === undefined || !isJsonArray(features)) return [];
  return features.filter((each): each is ByteString => typeof each === "string");
}
