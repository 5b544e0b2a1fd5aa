/** This program, to be started again: what processes it needs are itself under another command. */
import { runtime } from "#runtime";

/** What a process of ours that will end soon is started with; it calls {@link leaveShortLivedEnvironment}. */
export function shortLivedEnvironment(env: Environment): Environment {
  return { ...env, ...runtime.shortLivedEnvironment };
}

/** What the process starts itself is not concerned. */
export function leaveShortLivedEnvironment(env: Record<string, string | undefined>): void {
  for (const name of Object.keys(runtime.shortLivedEnvironment)) delete env[name];
}

type Environment = Readonly<Record<string, string | undefined>>;

/** The executable and the arguments before the command. */
export function ownCommand(): readonly string[] {
  return runtime.ownCommand();
}
