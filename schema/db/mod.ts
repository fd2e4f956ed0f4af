/**
 * The agent's database: tables, migrations, rows.
 *
 * @module
 */

export * from "./migrations.ts";
export * from "./rows.ts";
export * from "./tables.ts";
