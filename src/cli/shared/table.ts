/** Plain tables for a terminal. */

/** `12`, `-0.5`, `200 ms`, `1m 30s`. */
const quantity = /^-?\d[\d.]*( ?[a-z]{1,2}( \d+[a-z]{1,2})*)?$/

/** Rows under each other, the cells of a column as wide as the widest; quantities to the right. */
export const table = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows.map((row) =>
    `  ${
      row.map((cell, column) => {
        const width = widths[column] ?? 0
        return quantity.test(cell) ? cell.padStart(width) : cell.padEnd(width)
      }).join("  ").trimEnd()
    }`
  ).join("\n")
}
