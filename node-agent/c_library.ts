/**
 * Functions of the C library, where this process may call them (`--allow-ffi`).
 *
 * @module
 */

/** The library; `undefined`: not here, or not these functions. */
export function openCLibrary<Symbols extends Deno.ForeignLibraryInterface>(
  symbols: Symbols,
): Deno.DynamicLibrary<Symbols> | undefined {
  if (Deno.build.os !== "linux") return undefined;
  const permission = Deno.permissions.querySync({ name: "ffi" });
  if (permission.state !== "granted") return undefined;
  for (const name of ["libc.so.6", "libc.so"]) {
    try {
      return Deno.dlopen(name, symbols);
    } catch {
      // Another C library.
    }
  }
  return undefined;
}
