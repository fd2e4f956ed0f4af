/**
 * `RESOURCE/VOLUME`, as commands take it.
 *
 * @module
 */

/** A word that may name one volume of a resource. */
export interface TargetWord {
  readonly resourceName: string;
  /** Undefined: the whole resource. */
  readonly volume: number | undefined;
}

/** `minor-N`, as the kernel's helpers name a volume; undefined: another word. */
export function parseMinor(word: string): number | undefined {
  const [, minor] = /^minor-([0-9]{1,7})$/.exec(word) ?? [];
  return minor === undefined ? undefined : Number(minor);
}

/** Only digits behind a slash are a volume: a path is no resource's name. */
export function parseTarget(word: string): TargetWord {
  const slash = word.lastIndexOf("/");
  const volume = word.slice(slash + 1);
  return slash > 0 && /^[0-9]{1,5}$/.test(volume)
    ? { resourceName: word.slice(0, slash), volume: Number(volume) }
    : { resourceName: word, volume: undefined };
}
