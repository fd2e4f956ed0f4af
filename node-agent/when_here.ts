/**
 * Values that are often here already.
 *
 * @module
 */

/** A value that is here, or comes. */
export type HereOrLater<Value> = Value | Promise<Value>;

/**
 * Go on with a value: at once when it is here. Each wait for what is here costs a
 * promise and a turn of all others.
 *
 * @throws What `next` throws, when the value is here.
 */
export function whenHere<Value, Result>(
  value: HereOrLater<Value>,
  next: (value: Value) => HereOrLater<Result>,
): HereOrLater<Result> {
  return value instanceof Promise ? value.then(next) : next(value);
}
