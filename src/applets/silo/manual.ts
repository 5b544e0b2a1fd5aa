/** The manual page silo(1), from what the commands declare. */
import { nixApplets, siloApplets } from "../applet-table.ts";

/** In troff's man macros. */
export async function printManual(): Promise<string> {
  const own = await describeAll(siloApplets, "silo ");
  const nix = await describeAll(nixApplets, "");
  return `.TH SILO 1
.SH NAME
silo \\- a purely functional package store in one executable
.SH SYNOPSIS
.B silo
.I COMMAND
[\\fIARGUMENTS\\fR]...
.SH DESCRIPTION
silo keeps files, texts and the results of builds under names that follow from what they are made of, in a store that
Nix can use at the same time. Every command has a page of its own:
.B silo
.I COMMAND
.BR \\-\\-help .
.SH COMMANDS
${own}.SH PROGRAMS OF NIX
Also by a link of their name to silo.
${nix}.SH PROGRESS
On a terminal a live view shows what is being built and fetched; failures end with the last lines of the log, and
.B silo log
shows the rest. In a pipe the same comes as plain lines.
.B \\-\\-log\\-format internal\\-json
is for programs. Results go to standard output, everything else to standard error.
.SH EXIT STATUS
0 when all went well, 1 for errors of every other kind; of builds 100 when a builder failed, 101 when one took too long, 102
when a hash was not what the derivation says, 104 when a second build gave another result; several of these together give the
sum of what is above 96 of each, plus 96. 141 when the reader of standard output went away.
.SH ENVIRONMENT
.TP
.B NIX_REMOTE
Which store to use: a directory, \\fBdaemon\\fR, \\fBlocal\\fR or a store URL.
.TP
.B NIX_STORE_DIR, NIX_STATE_DIR, NIX_LOG_DIR, NIX_CONF_DIR
Where things are, instead of below /nix and /etc/nix.
.TP
.B NIX_CONFIG, NIX_USER_CONF_FILES
Settings beside nix.conf; \\fBsilo config describe\\fR explains them all.
.TP
.B NO_COLOR, CI
NO_COLOR: the live view without colours. CI: no live view, but lines, as in a pipe.
.SH FILES
.TP
.I /etc/nix/nix.conf
Settings.
`;
}

type Table = typeof siloApplets;

async function describeAll(table: Table, prefix: string): Promise<string> {
  const entries = await Promise.all(
    Object.entries(table).map(async ([name, load]) => {
      const { summary } = await load();
      return `.TP\n.B ${escapeTroff(prefix + name)}\n${escapeTroff(summary)}.\n`;
    }),
  );
  return entries.join("");
}

function escapeTroff(text: string): string {
  return text.replace(/[\\-]/g, "\\$&").replace(/^[.']/, "\\&$&");
}
