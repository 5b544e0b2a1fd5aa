/**
 * How a command talks, of what was asked for and what it talks to: `plain`, lines as Nix prints them into a pipe; `live`, a
 * view of what goes on, on terminals; or for programs.
 */
import type { Environment } from "../../store/directories.ts";
import type { CommonFlags } from "../command-line/common-options.ts";
import type { FrameStyle } from "./progress-frame.ts";

export interface Talk {
  readonly form: "plain" | "live" | "internal-json";
  /** What builders print: each line as it is, each behind the name of its derivation, or only its end when one fails. */
  readonly builderOutput: "raw-lines" | "named-lines" | "only-of-failures";
}

export type TalkFlags = Pick<CommonFlags, "buildOutput" | "buildLogs" | "logFormat">;

/** @param onTerminal do messages go to a terminal that can move its cursor? */
export function chooseTalk(flags: TalkFlags, env: Environment, onTerminal: "yes" | "no"): Talk {
  const format = flags.logFormat ?? (onTerminal === "yes" && !isInCi(env) ? "bar" : "raw");
  switch (format) {
    case "internal-json":
      // Its readers are given every line, and a failure need not repeat them.
      return { form: "internal-json", builderOutput: flags.buildOutput === "shown" ? "raw-lines" : "only-of-failures" };
    case "raw":
    case "raw-with-logs":
      return { form: "plain", builderOutput: flags.buildOutput === "shown" ? "raw-lines" : "only-of-failures" };
    default: {
      const logs = flags.buildLogs === "wanted" || format === "bar-with-logs";
      return {
        form: onTerminal === "yes" ? "live" : "plain",
        builderOutput: logs && flags.buildOutput === "shown" ? "named-lines" : "only-of-failures",
      };
    }
  }
}

export function frameStyle(env: Environment): FrameStyle {
  // https://no-color.org: present and not empty
  const colours = env["NO_COLOR"] ? "off" : "on";
  const locale = env["LC_ALL"] || env["LC_CTYPE"] || env["LANG"] || "";
  return { colours, cut: /utf-?8/i.test(locale) ? "…" : "..." };
}

/** As services of continuous integration say it. */
function isInCi(env: Environment): boolean {
  const value = env["CI"];
  return value !== undefined && !["", "0", "false"].includes(value.toLowerCase());
}
