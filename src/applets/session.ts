/**
 * What a command that was understood works with: where things are, the settings that hold for it, and who hears what it
 * has to say.
 */
import { unknownSettingWarnings } from "../formats/settings/unknown-settings.ts";
import { type Settings, withSettings } from "../formats/settings/settings.ts";
import { type Directories, directoriesFromEnvironment } from "../store/directories.ts";
import { loadSettings } from "../store/load-settings.ts";
import type { Reporter } from "../store/reporter.ts";
import type { CommandLine } from "./command-line.ts";
import type { CommonFlags } from "./command-line/common-options.ts";
import type { Io } from "./io.ts";
import { messagePrinter } from "./message-printer.ts";
import { chooseTalk, type Talk } from "./progress/talk.ts";

export interface Session {
  readonly io: Io;
  readonly flags: CommonFlags;
  readonly directories: Directories;
  /** From files, environment and command line. */
  readonly settings: Settings;
  readonly reporter: Reporter;
  /** How it talks. Asked for by those who build, since it takes a look at the terminal. */
  talk(): Talk;
}

/** Reads the settings and prints their warnings. @throws BadDirectory, BadConf, BadSetting */
export function openSession({ common: flags }: CommandLine, io: Io): Session {
  let chosen: Talk | undefined;
  const talk = () => (chosen ??= chooseTalk(flags, io.env, io.terminal() === undefined ? "no" : "yes"));
  const reporter = messagePrinter(io, flags, talk);
  const directories = directoriesFromEnvironment(io.env);
  const { settings: loaded, warnings } = loadSettings(io.env, directories);
  const settings = flags.assignments.length === 0 ? loaded : withSettings(loaded, flags.assignments);
  for (const warning of warnings) reporter.message("warning", `warning: ${warning}`);
  if (settings.unknown.size > 0) {
    for (const warning of unknownSettingWarnings(settings)) reporter.message("warning", `warning: ${warning}`);
  }
  return { io, flags, directories, settings, reporter, talk };
}
