/** Foreign text in our sentences: what a terminal or a log would take for more than text is made visible. */

/**
 * Control characters and escape sequences, line and paragraph separators, the marks that turn the direction of writing, and
 * characters without width. With them a server could write lines of a log that look like somebody else's.
 */
const hidden = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/g

const written: { readonly [character: string]: string } = { "\n": "\\n", "\r": "\\r", "\t": "\\t" }

/** The same text, with `\u202e` where that character stood. Texts without such characters are given back as they are. */
export const visible = (text: string): string =>
  text.replace(
    hidden,
    (character) => written[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`
  )
