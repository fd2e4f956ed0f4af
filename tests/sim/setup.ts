/** Identities in simulated runs. */

/** A UUID made from a number. */
export function storeIdOf(number: number): string {
  return `00000000-0000-4000-8000-${number.toString(16).padStart(12, "0")}`;
}
