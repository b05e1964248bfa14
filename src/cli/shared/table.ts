/** Plain tables for a terminal. */

/** Rows under each other, the cells of a column as wide as the widest; numbers to the right. */
export const table = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const isNumeric = (cell: string): boolean => /^[-\d]/.test(cell)
  return rows.map((row) =>
    `  ${
      row.map((cell, column) => {
        const width = widths[column] ?? 0
        return isNumeric(cell) ? cell.padStart(width) : cell.padEnd(width)
      }).join("  ").trimEnd()
    }`
  ).join("\n")
}
