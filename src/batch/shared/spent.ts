/** What the items of a batch cost together, and those whose tokens have no price. Pure. */

/** What an item cost, or whose tokens have no price. */
export type Cost = number | { readonly unpricedModel: string }

/** What all cost that have a price, and those that have none. */
export interface Spent {
  readonly cost: number
  readonly unpriced: Unpriced
}

export interface Unpriced {
  readonly items: number
  /** The first few of their models. */
  readonly models: ReadonlyArray<string>
}

/** How many models without a price are told. */
const mostModels = 10

export const nothing: Spent = { cost: 0, unpriced: { items: 0, models: [] } }

export const add = ({ cost, unpriced: { items, models } }: Spent, one: Cost): Spent =>
  typeof one === "number" ? { cost: cost + one, unpriced: { items, models } } : {
    cost,
    unpriced: {
      items: items + 1,
      models: models.length >= mostModels || models.includes(one.unpricedModel)
        ? models
        : [...models, one.unpricedModel]
    }
  }

/** As a summary tells it, where there is a price. */
export const told = ({ cost, unpriced }: Spent, price: unknown) => ({
  ...(price === undefined ? {} : { cost }),
  ...(unpriced.items === 0 ? {} : { unpriced })
})
