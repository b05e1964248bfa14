/**
 * What a machine-readable word means by what it is made of. Vendors coin codes faster than a list can follow
 * (`INSUFFICIENT_G1_CREDITS_BALANCE`, `InputImageSensitiveContentDetected`), but they coin them from the same few words.
 * Patterns run over canonical codes: lower case, no punctuation, one blank between two codes.
 */

/** Out of money, or an account that is not paid. */
export const money =
  /insufficient\w*(?:credit|balance|fund)|(?:credit|balance|fund)s?(?:balance)?\w{0,12}(?:exhausted|insufficient|toolow|depleted|notenough|empty)|pastdue|overdue|arrear|unpaid|billing\w{0,12}(?:disabled|inactive|notactive|notenabled|required)|paymentrequired|subscription\w{0,12}(?:expired|inactive|required|ended|cancell?ed)|budget\w{0,12}exceeded|spend\w{0,12}(?:limit|cap)/

/** More at a time than is allowed. */
export const concurrency =
  /concurren\w{0,24}(?:limit|exceed|toomany|reached|max)|(?:toomany|exceed\w{0,12}|max\w{0,12})concurren/

/** An allowance of a day. */
export const daily =
  /(?:daily|perday)\w{0,16}(?:limit|quota|allowance|exceed|allocation)|(?:limit|quota)\w{0,16}(?:daily|perday)/

/** The prompt is longer than the model can take. */
export const context =
  /context(?:length|window|size|limit)\w{0,16}(?:exceed|toolong|overflow|reached)|exceed\w{0,16}context|(?:prompt|inputs?|messages?)(?:is|are)?toolong|inputtokens?\w{0,12}exceed/

/** A filter withheld something. */
export const filter =
  /sensitive(?:content|words?|text|image|video)|contentfilter|contentpolicy|contentmoderation|prohibitedcontent|blocked(?:by)?safety|safety(?:block|violation|filter)|guardrail\w{0,12}(?:intervened|blocked|violat)|promptblocked/
