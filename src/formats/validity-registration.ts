/**
 * Validity registrations: the lines in which nix-store --dump-db, --load-db and --register-validity say which paths are valid, and the
 * files of exportReferencesGraph. Per path, each line ending in LF:
 *
 *     line                                     with-hash    without-hash    references-graph
 *     path                                     yes          yes             yes
 *     hash of the NAR: sha256 in base16        yes          no              no
 *     size of the NAR in bytes, decimal        yes          no              no
 *     deriver, or nothing                      yes          yes             always nothing
 *     number of references                     yes          yes             yes
 *     one line for each reference, ascending   yes          yes             yes
 *
 * All paths are full. The input may end only where a path may begin. As Nix 2.x does, the hash is also read in base32, base64 and with
 * `sha256:` in front. A size of 0 means "unknown": no NAR is empty.
 */
import { SiloError } from "../error.ts";
import { compareBytes, decodeBytes } from "./byte-string.ts";
import { type Hash, parseHash, printBareHash } from "./hash.ts";
import { parseFullStorePath, printStorePath, type StoreDir, type StorePath } from "./store-path.ts";

export type RegistrationForm = "with-hash" | "without-hash" | "references-graph";

export interface ValidityRegistration {
  readonly path: StorePath;
  /** Present in the form with-hash only. */
  readonly nar: { readonly hash: Hash; readonly size: number | undefined } | undefined;
  readonly deriver: StorePath | undefined;
  readonly references: ReadonlySet<StorePath>;
}

export class BadRegistration extends SiloError {
  readonly code = "bad-registration";
  constructor(
    /** From 1. */
    readonly line: number,
    readonly reason: string,
    options?: { readonly cause: unknown },
  ) {
    super(`Cannot read validity registration: line ${line}: ${reason}`, options);
  }
}

/** Bytes of a line at most; a path is far shorter. */
export const maxRegistrationLine = 8192;
/** References of one path at most. */
export const maxRegistrationReferences = 1_000_000;

export interface RegistrationParser {
  /** The registrations that these bytes complete; any split of the input gives the same. The chunk may be reused on return. @throws BadRegistration */
  feed(chunk: Uint8Array): ValidityRegistration[];
  /** To be called once, at the end of the input. @throws BadRegistration when it ends within a registration */
  finish(): void;
}

/** A parser that threw is not used again. */
export function createRegistrationParser(dir: StoreDir, form: RegistrationForm): RegistrationParser {
  let lines = 0;
  /** The beginning of a line whose end has not been seen. */
  let rest = "";
  let item = readRegistration(dir, form);
  let state: "between" | "within" = "between";
  item.next();

  function takeLine(text: string): ValidityRegistration | undefined {
    lines++;
    try {
      const step = item.next(text);
      state = step.done === true ? "between" : "within";
      if (step.done !== true) return undefined;
      item = readRegistration(dir, form);
      item.next();
      return step.value;
    } catch (error) {
      if (error instanceof SiloError) throw new BadRegistration(lines, error.message, { cause: error });
      throw error;
    }
  }

  return {
    feed(chunk) {
      const registrations: ValidityRegistration[] = [];
      let from = 0;
      for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, from)) {
        checkLength(rest.length + end - from, lines + 1);
        const registration = takeLine(rest + decodeBytes(chunk.subarray(from, end)));
        if (registration !== undefined) registrations.push(registration);
        rest = "";
        from = end + 1;
      }
      checkLength(rest.length + chunk.length - from, lines + 1);
      rest += decodeBytes(chunk.subarray(from));
      return registrations;
    },
    finish() {
      if (rest !== "") throw new BadRegistration(lines + 1, "missing input: the last line does not end in a newline");
      if (state === "within")
        throw new BadRegistration(lines + 1, "missing input: the text ends within a registration");
    },
  };
}

/** In the order given. @throws Error when a form with hash gets a registration without */
export function printRegistrations(
  dir: StoreDir,
  form: RegistrationForm,
  items: Iterable<ValidityRegistration>,
): string {
  let text = "";
  for (const item of items) text += printRegistration(dir, form, item);
  return text;
}

export function printRegistration(dir: StoreDir, form: RegistrationForm, item: ValidityRegistration): string {
  const lines = [printStorePath(dir, item.path)];
  if (form === "with-hash") {
    if (item.nar === undefined) throw new Error(`registration of ${item.path} without hash`);
    lines.push(printBareHash(item.nar.hash, "base16"), String(item.nar.size ?? 0));
  }
  lines.push(form === "references-graph" || item.deriver === undefined ? "" : printStorePath(dir, item.deriver));
  lines.push(String(item.references.size));
  for (const reference of [...item.references].sort(compareBytes)) lines.push(printStorePath(dir, reference));
  return `${lines.join("\n")}\n`;
}

/** Wants one line after another, and returns what they say. */
function* readRegistration(dir: StoreDir, form: RegistrationForm): Generator<undefined, ValidityRegistration, string> {
  const path = parseFullStorePath(dir, yield);
  let nar: ValidityRegistration["nar"];
  if (form === "with-hash") {
    const hash = parseHash(yield, "sha256");
    const size = parseNumber(yield, Number.MAX_SAFE_INTEGER, "the size of the NAR");
    nar = { hash, size: size === 0 ? undefined : size };
  }
  const deriverLine = yield;
  if (deriverLine !== "" && form === "references-graph") throw new BadLine("expected an empty line");
  const deriver = deriverLine === "" ? undefined : parseFullStorePath(dir, deriverLine);
  const count = parseNumber(yield, maxRegistrationReferences, "the number of references");
  const references = new Set<StorePath>();
  for (let i = 0; i < count; i++) references.add(parseFullStorePath(dir, yield));
  return { path, nar, deriver, references };
}

/** Without its line, which the parser knows. */
class BadLine extends SiloError {
  readonly code = "bad-registration-line";
}

function parseNumber(text: string, max: number, what: string): number {
  const value = /^[0-9]{1,16}$/.test(text) ? Number(text) : undefined;
  if (value === undefined) throw new BadLine(`${what}: number expected, found ${JSON.stringify(text)}`);
  if (value > max) throw new BadLine(`${what} is ${value}, at most ${max} is allowed`);
  return value;
}

const newline = 0x0a;

function checkLength(length: number, line: number): void {
  if (length > maxRegistrationLine) throw new BadRegistration(line, `longer than ${maxRegistrationLine} bytes`);
}
