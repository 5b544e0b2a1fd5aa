/**
 * Options of the ssh program, as NIX_SSHOPTS has them, for an ssh that is built in: what names a setting of ssh_config(5) becomes one;
 * what only concerns the program's terminal, forwarding or verbosity is passed over.
 */
import { SiloError } from "../../error.ts";

export interface SshOptions {
  /** Settings in lower case; of several values the first counts, except of `identityfile`. */
  readonly settings: readonly (readonly [name: string, value: string])[];
  /** `-F`: the only configuration file to read. */
  readonly configFile: string | undefined;
}

export class BadSshOptions extends SiloError {
  readonly code = "bad-ssh-options";
  constructor(
    readonly options: string,
    readonly reason: string,
  ) {
    super(`Cannot use NIX_SSHOPTS ${JSON.stringify(options)}: ${reason}`);
  }
}

const settingFlags: Readonly<Record<string, string>> = {
  p: "port",
  l: "user",
  i: "identityfile",
  J: "proxyjump",
  b: "bindaddress",
  I: "pkcs11provider",
};
/** Flags that are settings by themselves. */
const switches: Readonly<Record<string, readonly [string, string]>> = {
  C: ["compression", "yes"],
  "4": ["addressfamily", "inet"],
  "6": ["addressfamily", "inet6"],
};
const ignoredWithValue = "BcDEeLmOQRSWw";
const ignoredAlone = "AaGgfKkMNnqsTtVvXxYy";

/** @throws BadSshOptions */
export function parseSshOptions(text: string): SshOptions {
  const settings: [string, string][] = [];
  let configFile: string | undefined;
  const words = splitWords(text);
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if (!/^-./.test(word)) throw new BadSshOptions(text, `expected an option, found ${JSON.stringify(word)}`);
    for (let at = 1; at < word.length; at++) {
      const flag = word[at]!;
      const alone = switches[flag];
      if (alone !== undefined) settings.push([...alone]);
      else if (!ignoredAlone.includes(flag)) {
        const value = at + 1 < word.length ? word.slice(at + 1) : words[++i];
        if (value === undefined) throw new BadSshOptions(text, `option -${flag} requires an argument`);
        const setting = settingFlags[flag];
        if (setting !== undefined) settings.push([setting, value]);
        else if (flag === "o") settings.push(parseSetting(text, value));
        else if (flag === "F") configFile = value;
        else if (!ignoredWithValue.includes(flag)) throw new BadSshOptions(text, `unknown option -${flag}`);
        break;
      }
    }
  }
  return { settings, configFile };
}

/** `Name=value` or `Name value`. */
function parseSetting(text: string, setting: string): [string, string] {
  const [, name, value] = /^\s*([A-Za-z0-9]+)(?:\s*=\s*|\s+)(.*?)\s*$/.exec(setting) ?? [];
  if (name === undefined || value === undefined) {
    throw new BadSshOptions(text, `expected -o Name=value, found ${JSON.stringify(setting)}`);
  }
  return [name.toLowerCase(), value.replace(/^"(.*)"$/, "$1")];
}

/** As a shell does: quotes and backslashes keep blanks together. @throws BadSshOptions */
export function splitWords(text: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = "";
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (quote === "'" ? c !== "'" : quote === '"' ? c !== '"' && c !== "\\" : !/[\s'"\\]/.test(c)) {
      word = (word ?? "") + c;
    } else if (c === "\\") {
      const next = text[++i];
      if (next === undefined) throw new BadSshOptions(text, "it ends with a backslash");
      word = (word ?? "") + (quote === '"' && next !== '"' && next !== "\\" ? `\\${next}` : next);
    } else if (c === quote) quote = "";
    else if (c === "'" || c === '"') {
      quote = c;
      word ??= "";
    } else if (word !== undefined) {
      words.push(word);
      word = undefined;
    }
  }
  if (quote !== "") throw new BadSshOptions(text, `a ${quote} is not closed`);
  if (word !== undefined) words.push(word);
  return words;
}
