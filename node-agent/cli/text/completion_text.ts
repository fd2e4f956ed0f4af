/** Completion scripts. Pure. */

/** What can follow one command. */
export interface CompletionWords {
  readonly name: string;
  readonly summary: string;
  readonly verbs: readonly string[];
  /** Without dashes. */
  readonly options: readonly string[];
}

/**
 * A completion script.
 *
 * @param shell Which shell reads it.
 * @param commands Every command.
 */
export function completionScript(
  shell: "bash" | "zsh" | "fish",
  commands: readonly CompletionWords[],
): string {
  return SCRIPTS[shell](commands);
}

const SCRIPTS = { bash, zsh, fish } as const;

function bash(commands: readonly CompletionWords[]): string {
  const names = commands.map(({ name }) => name).join(" ");
  const cases = commands.map(({ name, verbs, options }) =>
    `    ${name}) words="${
      [...verbs, ...options.map((option) => `--${option}`)].join(" ")
    }" ;;`
  ).join("\n");
  return `# bash completion for kedge
_kedge() {
  local current="\${COMP_WORDS[COMP_CWORD]}" words=""
  if [[ $COMP_CWORD -eq 1 ]]; then
    COMPREPLY=($(compgen -W "${names}" -- "$current"))
    return
  fi
  case "\${COMP_WORDS[1]}" in
${cases}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [[ "$current" == -* ]] || COMPREPLY+=($(compgen -f -- "$current"))
}
complete -o filenames -F _kedge kedge
`;
}

function zsh(commands: readonly CompletionWords[]): string {
  const names = commands.map(({ name, summary }) =>
    `    '${name}:${quoted(summary)}'`
  ).join("\n");
  const cases = commands.map(({ name, verbs, options }) =>
    `    ${name}) compadd -- ${
      [...verbs, ...options.map((option) => `--${option}`)].join(" ")
    } ;;`
  ).join("\n");
  return `#compdef kedge
_kedge() {
  local -a commands
  commands=(
${names}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  case "$words[2]" in
${cases}
  esac
  _files
}
compdef _kedge kedge
`;
}

function fish(commands: readonly CompletionWords[]): string {
  const lines = commands.flatMap(({ name, summary, verbs, options }) => {
    const here = `-n "__fish_seen_subcommand_from ${name}"`;
    return [
      `complete -c kedge -n __fish_use_subcommand -f -a ${name} -d '${
        quoted(summary)
      }'`,
      ...verbs.map((verb) => `complete -c kedge ${here} -a ${verb}`),
      ...options.map((option) => `complete -c kedge ${here} -l ${option}`),
    ];
  });
  return `# fish completion for kedge\n${lines.join("\n")}\n`;
}

function quoted(text: string): string {
  return text.replaceAll("'", "'\\''");
}
