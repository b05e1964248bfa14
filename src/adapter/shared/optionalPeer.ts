/** Optional peers are loaded by `import()`, because a missing one can be told about only from code that runs. */
import { textProperty } from "../../internal/redact.ts"

/** `ERR_MODULE_NOT_FOUND` is Node's for `import`, `MODULE_NOT_FOUND` that of `require` and of bundlers. */
const isMissing = (cause: unknown): boolean =>
  typeof cause === "object" && cause !== null &&
  /^(?:ERR_)?MODULE_NOT_FOUND$/.test(textProperty(cause, "code") ?? "")

/** The package, or an error that names who needs it and how it is installed; any other failure of it passes as it is. */
export const optionalPeer = <A>(
  needs: { readonly module: string; readonly install: string },
  loading: Promise<A>
): Promise<A> =>
  loading.catch((cause: unknown) => {
    throw isMissing(cause)
      ? new Error(
        `effect-llm-resilience/${needs.module} needs a package that is not installed: npm install ${needs.install}`,
        { cause }
      )
      : cause
  })
