/**
 * What the options of a command are: data that parsing, help and completion go by.
 */
export interface OptionSpec {
  /** For `-q`. */
  readonly letter?: string;
  /** Other long names. */
  readonly aliases?: readonly string[];
  /** The words that must follow, as help calls them: `["NAME", "VALUE"]`. None for a plain flag. */
  readonly operands?: readonly string[];
  /** One line. */
  readonly help: string;
}

/** By long name, without dashes. */
export type OptionTable<N extends string = string> = Readonly<Record<N, OptionSpec>>;

export interface Example {
  readonly does: string;
  readonly command: string;
}

/** What follows `silo` or is a program of its own. */
export interface CommandSpec<N extends string = string> {
  /** As people call it: `nix-store`, `silo gc`. */
  readonly name: string;
  /** Programs of Nix say which Nix they are compatible with, commands of silo which silo they are. */
  readonly family: "nix" | "silo";
  readonly summary: string;
  /** What may follow the name; one line for each form. */
  readonly usage: readonly string[];
  readonly examples: readonly Example[];
  readonly options: OptionTable<N>;
  /** Headings of the help page and the options below each; those named nowhere come first. */
  readonly groups?: Readonly<Record<string, readonly N[]>>;
  /** How this program words that it does not know a flag. */
  readonly unknownFlag?: "unknown flag" | "unrecognised flag";
}
