/**
 * For results that are either a value or `{ problem }`.
 *
 * @module
 */

/** What {@linkcode sound} takes away. */
export interface WithProblem {
  /** Why there is no value. */
  readonly problem: unknown;
}

/** The value; throws when it is a problem instead. */
export function sound<T extends object>(value: T): Exclude<T, WithProblem> {
  if ("problem" in value) throw new Error(JSON.stringify(value.problem));
  return value as Exclude<T, WithProblem>;
}
