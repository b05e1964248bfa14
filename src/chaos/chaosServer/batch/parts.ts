/** The parts of a multipart body, as clients of the file services send them. Data in, data out. */

export interface Part {
  readonly name: string | undefined
  readonly filename: string | undefined
  readonly contentType: string | undefined
  readonly text: string
}

const parameter = (header: string, name: string): string | undefined => {
  const [, quoted, bare] = new RegExp(`(?:^|[;\\s])${name}=(?:"([^"]*)"|([^;\\s]+))`, "i").exec(header) ?? []
  return quoted ?? bare
}

const partOf = (section: string): Part | undefined => {
  const end = section.indexOf("\r\n\r\n")
  if (end < 0) return undefined
  const headers = section.slice(0, end).split("\r\n")
  const header = (name: string) =>
    headers.find((line) => line.toLowerCase().startsWith(`${name}:`))?.slice(name.length + 1).trim()
  const disposition = header("content-disposition") ?? ""
  return {
    name: parameter(disposition, "name"),
    filename: parameter(disposition, "filename"),
    contentType: header("content-type"),
    text: section.slice(end + 4)
  }
}

/** `undefined` where the body is no multipart body. The text before the first boundary and after the last is nobody's. */
export const partsOf = (contentType: string, body: string): ReadonlyArray<Part> | undefined => {
  const boundary = /^multipart\//i.test(contentType) ? parameter(contentType, "boundary") : undefined
  if (boundary === undefined) return undefined
  const sections = `\r\n${body}`.split(`\r\n--${boundary}`).slice(1)
  const last = sections.findIndex((section) => section.startsWith("--"))
  const parts = sections.slice(0, last < 0 ? 0 : last).map((section) => partOf(section.slice(2)))
  return last < 0 || parts.some((part) => part === undefined)
    ? undefined
    : parts.flatMap((part) => part === undefined ? [] : [part])
}
