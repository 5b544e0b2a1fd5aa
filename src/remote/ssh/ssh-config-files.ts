/** The user's and the system's ssh_config(5): what they say of a host. Parsed by the ssh-config package. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import SSHConfig from "ssh-config";
import { SiloError } from "../../error.ts";
import { matchPatterns } from "./patterns.ts";

export class BadSshConfig extends SiloError {
  readonly code = "bad-ssh-config";
  constructor(
    readonly file: string,
    readonly reason: string,
  ) {
    super(`Cannot read ssh configuration '${file}': ${reason}`);
  }
}

/** By name in lower case; `identityfile` has all its values. */
export type SshSettings = ReadonlyMap<string, readonly string[]>;

const maxIncludeDepth = 16;
/** Bytes of all files together. */
const maxTextSize = 4 * 1024 * 1024;

/**
 * What the files say of `host`, the name that the user wrote; of two values the first counts.
 * @param user the one that the address names @param home for `~` in Include
 * @throws BadSshConfig
 */
export function readSshConfig(
  files: readonly string[],
  host: string,
  user: string | undefined,
  home: string,
): SshSettings {
  const settings = new Map<string, string[]>();
  for (const file of files) {
    const text = readWithIncludes(file, home, 0);
    if (text === undefined) continue;
    let computed: Record<string, string | string[]>;
    try {
      // The user that it is told it takes for a setting, so it is told only one that wins anyway.
      const query = user === undefined ? { Host: host } : { Host: host, User: user };
      computed = SSHConfig.parse(text).compute(query, { ignoreCase: true });
    } catch (error) {
      throw new BadSshConfig(file, error instanceof Error ? error.message : String(error));
    }
    for (const [name, value] of Object.entries(computed)) {
      const values = Array.isArray(value) ? value : [value];
      if (name === "identityfile") settings.set(name, [...(settings.get(name) ?? []), ...values]);
      else if (!settings.has(name)) settings.set(name, values);
    }
  }
  return settings;
}

/** The text with included files in place; undefined when the file is not there or not ours to read. */
function readWithIncludes(file: string, home: string, depth: number): string | undefined {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return undefined; // as ssh does: a host can be reached without a configuration
  }
  if (text.length > maxTextSize) throw new BadSshConfig(file, `it is larger than ${maxTextSize} bytes`);
  if (!/^\s*include\b/im.test(text)) return text;
  if (depth >= maxIncludeDepth) throw new BadSshConfig(file, `files include each other, ${maxIncludeDepth} deep`);
  // What follows an Include belongs to the block it stands in, also when the included file begins others.
  let block = "Host *";
  return text
    .split("\n")
    .map((line) => {
      if (/^\s*(host|match)[\s=]/i.test(line)) block = line;
      const [, list] = /^\s*include(?:\s*=\s*|\s+)(.*?)\s*$/i.exec(line) ?? [];
      if (list === undefined) return line;
      const included = (list.match(/"[^"]*"|\S+/g) ?? [])
        .flatMap((pattern) => expandFiles(pattern.replace(/^"(.*)"$/, "$1"), file, home))
        .map((each) => readWithIncludes(each, home, depth + 1) ?? "");
      return [...included, block].join("\n");
    })
    .join("\n");
}

/** Files that a name with `*` and `?` in its last part stands for, sorted; relative ones are beside the file that includes. */
function expandFiles(pattern: string, from: string, home: string): string[] {
  const path = pattern.startsWith("~/")
    ? join(home, pattern.slice(2))
    : pattern.startsWith("/")
      ? pattern
      : join(dirname(from), pattern);
  const directory = dirname(path);
  const name = path.slice(directory.length + 1);
  if (!/[*?]/.test(name)) return [path];
  try {
    return readdirSync(directory)
      .filter((entry) => !entry.startsWith(".") && matchPatterns([name], entry))
      .sort()
      .map((entry) => join(directory, entry));
  } catch {
    return [];
  }
}
