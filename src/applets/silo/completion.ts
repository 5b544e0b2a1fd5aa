/** `silo completion`: what a shell needs to complete silo's command lines. Shells ask the program itself. */
import { UsageError } from "../../error.ts";
import { completionFlag, commandApplet } from "../command-line.ts";

const scripts: Readonly<Record<string, (program: string) => string>> = {
  bash: (program) => `_silo_${program.replaceAll("-", "_")}() {
  local words=("\${COMP_WORDS[@]:1:COMP_CWORD}")
  mapfile -t COMPREPLY < <(${program} ${completionFlag} "\${words[@]}" 2>/dev/null)
}
complete -o default -F _silo_${program.replaceAll("-", "_")} ${program}
`,
  zsh: (program) => `_silo_${program.replaceAll("-", "_")}() {
  local -a replies
  replies=("\${(@f)$(${program} ${completionFlag} "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if (( \${#replies} )) && [[ -n "\${replies[1]}" ]]; then compadd -- "\${replies[@]}"; else _files; fi
}
compdef _silo_${program.replaceAll("-", "_")} ${program}
`,
  fish: (
    program,
  ) => `complete -c ${program} -a '(${program} ${completionFlag} (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'
`,
};

export const shells: readonly string[] = Object.keys(scripts);

/** The script for a shell; undefined for one that is not known. */
export function completionScript(shell: string): string | undefined {
  const script = Object.hasOwn(scripts, shell) ? scripts[shell] : undefined;
  if (script === undefined) return undefined;
  const text = programs.map(script).join("");
  return shell === "zsh" ? `#compdef ${programs.join(" ")}\n${text}${zshEnd}` : text;
}

const programs = ["silo", "nix-store", "nix-collect-garbage", "nix-copy-closure", "nix-daemon", "nix-hash"];

/** zsh loads the file as a function when it completes for the first time, by the first line, and calls that. */
const zshEnd = `if [[ $funcstack[1] == _silo ]]; then "_silo_\${service//-/_}" "$@"; fi
`;

export const completion = commandApplet(
  {
    name: "silo completion",
    family: "silo",
    summary: "Print a script that has a shell complete command lines",
    usage: ["bash | zsh | fish"],
    examples: [
      { does: "In ~/.bashrc", command: "source <(silo completion bash)" },
      { does: "For fish", command: "silo completion fish > ~/.config/fish/completions/silo.fish" },
    ],
    options: {},
  },
  (line, io) => {
    const [shell, ...more] = line.operands;
    const script = shell === undefined ? undefined : completionScript(shell);
    if (script === undefined || more.length > 0)
      throw new UsageError("'silo completion' needs the name of a shell: bash, zsh or fish");
    io.out(script);
    return 0;
  },
);
