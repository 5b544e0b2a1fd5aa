/**
 * Reads the text of a `.drv` file, an ATerm:
 *
 *     drv    = "Derive(" outs "," inDrvs "," inSrcs "," S(system) "," S(builder) "," L(args) "," env ")"
 *     outs   = "[" { "(" S(id) "," S(path) "," S(hash algorithm) "," S(hash) ")" , } "]"      see output-fields.ts
 *     inDrvs = "[" { "(" S(path) "," L(output ids) ")" , } "]"
 *     inSrcs = L(paths)
 *     env    = "[" { "(" S(key) "," S(value) ")" , } "]"
 *     L      = "[" { S , } "]"                          elements are separated by single commas; nothing may stand between tokens
 *     S      = `"` { byte | "\" byte } `"`              `\n`, `\r`, `\t` as in C; `\` before any other byte means that byte
 *
 * See the Nix manual, "Derivation ATerm format". Stricter than Nix, which never writes these: a missing or spare comma, bytes after the
 * end, a second output, input or variable of the same name, an input without outputs, an output or system name that would need escapes.
 * As in Nix, any order is read and repeated sources and output ids collapse. `DrvWithVersion("xp-dyn-drv"` (experimental) is refused.
 */
import { SiloError } from "../../error.ts";
import { type ByteString, decodeBytes, toText } from "../byte-string.ts";
import { isOutputName } from "../derivation-outputs.ts";
import { parseFullStorePath, type StoreDir, type StorePath } from "../store-path.ts";
import { BadDerivation, type Derivation, type DerivationOutput, isSystem } from "./derivation.ts";
import { parseOutputFields } from "./output-fields.ts";

/** `name` is that of the derivation, without `.drv`. @throws BadDerivation */
export function parseDerivation(dir: StoreDir, text: ByteString | Uint8Array, name: string): Derivation {
  const reader = new AtermReader(typeof text === "string" ? text : decodeBytes(text), name);
  try {
    return readDerivation(reader, dir, name);
  } catch (error) {
    if (error instanceof SiloError && !(error instanceof BadDerivation))
      throw new BadDerivation(name, reader.tokenStart, error.message, { cause: error });
    throw error;
  }
}

function readDerivation(reader: AtermReader, dir: StoreDir, name: string): Derivation {
  if (reader.startsWith("DrvWithVersion(")) reader.fail("dynamic derivations (DrvWithVersion) are not supported");
  reader.expect("Derive(");

  const outputs = new Map<string, DerivationOutput>();
  reader.list(() => {
    reader.expect("(");
    const id = readOutputId(reader);
    if (outputs.has(id)) reader.fail(`output ${JSON.stringify(id)} occurs twice`);
    reader.expect(",");
    const start = reader.offset;
    const path = reader.string();
    reader.expect(",");
    const hashAlgo = reader.string();
    reader.expect(",");
    const hash = reader.string();
    reader.tokenStart = start;
    outputs.set(id, parseOutputFields(dir, name, id, { path, hashAlgo, hash }));
    reader.expect(")");
  });
  reader.expect(",");

  const inputDrvs = new Map<StorePath, ReadonlySet<string>>();
  reader.list(() => {
    reader.expect("(");
    const path = parseFullStorePath(dir, reader.string());
    if (inputDrvs.has(path)) reader.fail(`input ${JSON.stringify(path)} occurs twice`);
    reader.expect(",");
    const wanted = new Set<string>();
    reader.list(() => wanted.add(readOutputId(reader)));
    if (wanted.size === 0) reader.fail(`input ${JSON.stringify(path)} has no outputs`);
    inputDrvs.set(path, wanted);
    reader.expect(")");
  });
  reader.expect(",");

  const inputSrcs = new Set<StorePath>();
  reader.list(() => inputSrcs.add(parseFullStorePath(dir, reader.string())));
  reader.expect(",");

  const system = reader.string();
  if (!isSystem(system)) reader.fail("the system contains a character that needs an escape");
  reader.expect(",");
  const builder = reader.string();
  reader.expect(",");

  const args: ByteString[] = [];
  reader.list(() => args.push(reader.string()));
  reader.expect(",");

  const env = new Map<ByteString, ByteString>();
  reader.list(() => {
    reader.expect("(");
    const key = reader.string();
    if (env.has(key)) reader.fail(`environment variable ${JSON.stringify(toText(key))} occurs twice`);
    reader.expect(",");
    env.set(key, reader.string());
    reader.expect(")");
  });

  reader.expect(")");
  if (!reader.atEnd()) reader.failHere("expected the end of the text");
  return { name, outputs, inputDrvs, inputSrcs, system, builder, args, env };
}

function readOutputId(reader: AtermReader): string {
  const id = reader.string();
  if (!isOutputName(id)) reader.fail(`${JSON.stringify(toText(id))} is not the name of an output`);
  return id;
}

const quote = 0x22;
const comma = 0x2c;
const closeBracket = 0x5d;

class AtermReader {
  offset = 0;
  /** Where the string read last begins: what a complaint about it points at. */
  tokenStart = 0;
  /** Position of the first backslash at or after where it was last asked for; found once, since most texts have few. */
  private backslash = 0;

  constructor(
    private readonly text: string,
    private readonly name: string,
  ) {
    this.backslash = this.indexOf("\\", 0);
  }

  startsWith(token: string): boolean {
    return this.text.startsWith(token, this.offset);
  }

  atEnd(): boolean {
    return this.offset === this.text.length;
  }

  expect(token: string): void {
    if (!this.text.startsWith(token, this.offset)) this.failHere(`expected ${JSON.stringify(token)}`);
    this.offset += token.length;
  }

  /** `[`, elements with a comma between two, `]`. */
  list(element: () => void): void {
    this.expect("[");
    if (this.text.charCodeAt(this.offset) === closeBracket) {
      this.offset++;
      return;
    }
    for (;;) {
      element();
      const code = this.text.charCodeAt(this.offset);
      if (code !== comma && code !== closeBracket) this.failHere(`expected "," or "]"`);
      this.offset++;
      if (code === closeBracket) return;
    }
  }

  string(): ByteString {
    this.tokenStart = this.offset;
    if (this.text.charCodeAt(this.offset) !== quote) this.failHere("expected a string");
    const start = this.offset + 1;
    if (this.backslash < start) this.backslash = this.indexOf("\\", start);
    const end = this.text.indexOf('"', start);
    if (end < 0) this.fail("the string does not end");
    if (end > this.backslash) return this.escapedString(start);
    this.offset = end + 1;
    return this.text.slice(start, end) as ByteString;
  }

  /** A string with at least one escape; `start` is behind the opening quote. */
  private escapedString(start: number): ByteString {
    let value = "";
    let from = start;
    let end = -1;
    for (;;) {
      if (end < from) end = this.indexOf('"', from); // not at every escape: that would read a string of escapes quadratically
      if (end === Number.POSITIVE_INFINITY) this.fail("the string does not end");
      if (this.backslash < from) this.backslash = this.indexOf("\\", from);
      if (end < this.backslash) {
        this.offset = end + 1;
        return (value + this.text.slice(from, end)) as ByteString;
      }
      value += this.text.slice(from, this.backslash) + unescaped(this.text[this.backslash + 1] ?? "");
      from = this.backslash + 2;
    }
  }

  /** A complaint about the string read last. */
  fail(reason: string): never {
    throw new BadDerivation(this.name, this.tokenStart, reason);
  }

  /** A complaint about what comes next. */
  failHere(reason: string): never {
    const next = this.text[this.offset];
    const found = next === undefined ? "the end of the text" : JSON.stringify(next);
    throw new BadDerivation(this.name, this.offset, `${reason}, found ${found}`);
  }

  private indexOf(token: string, from: number): number {
    const at = this.text.indexOf(token, from);
    return at < 0 ? Number.POSITIVE_INFINITY : at;
  }
}

function unescaped(character: string): string {
  return character === "n" ? "\n" : character === "r" ? "\r" : character === "t" ? "\t" : character;
}
