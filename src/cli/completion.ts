import type { Command } from "./command.ts";
import { UsageError } from "./usage-error.ts";

const shells = ["bash", "zsh", "fish"];

/** `names` are those of all commands: the table of commands imports this file, not the other way round. */
export function completionOf(names: readonly string[]): Command {
  return {
    usage: `larder completion ${shells.join(" | ")}`,
    help: `Prints what makes a shell complete the names of commands:
  bash, zsh   eval "$(larder completion bash)" in ~/.bashrc, or with zsh in ~/.zshrc
  fish        larder completion fish | source`,
    options: {},
    words: { least: 1, most: 1 },
    run: ({ positionals: [shell = ""] }, terminal) => {
      if (!shells.includes(shell)) throw new UsageError(`'${shell}' is not one of ${shells.join(", ")}`);
      terminal.stdout.write(scriptFor(shell, names));
      return Promise.resolve(0);
    },
  };
}

function scriptFor(shell: string, names: readonly string[]): string {
  const words = names.join(" ");
  if (shell === "fish") return `complete -c larder -n __fish_use_subcommand -f -a '${words}'\n`;
  const bash = `_larder() {
  if [ "$COMP_CWORD" -eq 1 ]; then COMPREPLY=($(compgen -W '${words}' -- "\${COMP_WORDS[1]}")); fi
}
complete -o default -F _larder larder
`;
  return shell === "zsh" ? `autoload -U +X bashcompinit && bashcompinit\n${bash}` : bash;
}
