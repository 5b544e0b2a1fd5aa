/**
 * netrc: who logs in where. Words separated by blanks: `machine NAME`, or `default`, and then `login NAME`, `password
 * WORD` and `account WORD` for it. A word may be in double quotes, with backslashes; `macdef` and its lines are passed
 * over, and so are comments. See curl(1), `--netrc`.
 */

export interface Login {
  readonly login: string;
  readonly password: string;
}

/** The login for a host: that of the first entry for it, or of the default one. */
export function findLogin(netrc: string, host: string): Login | undefined {
  let applies: "yes" | "no" = "no";
  let login: string | undefined;
  let password: string | undefined;
  const words = tokens(netrc);
  for (let at = 0; at < words.length; at++) {
    const word = words[at];
    if (word === "machine" || word === "default") {
      if (applies === "yes" && login !== undefined) break;
      applies = word === "default" || words[++at] === host ? "yes" : "no";
      login = password = undefined;
    } else if (word === "login" || word === "password" || word === "account") {
      const value = words[++at];
      if (applies === "no") continue;
      if (word === "login") login = value;
      if (word === "password") password = value;
    }
  }
  if (applies === "no" || login === undefined) return undefined;
  return { login, password: password ?? "" };
}

function tokens(netrc: string): string[] {
  // A macro ends at the first empty line.
  const text = netrc.replace(/^\s*macdef\b[\s\S]*?(\n[ \t]*\n|$(?![\s\S]))/gm, "\n").replace(/^\s*#.*$/gm, "");
  return [...text.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)].map(([, quoted, plain]) => {
    return plain ?? quoted!.replace(/\\(.)/g, "$1");
  });
}
