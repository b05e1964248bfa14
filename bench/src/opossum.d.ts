/** What of opossum is measured here: it has no types of its own. */
declare module "opossum" {
  export default class CircuitBreaker<A> {
    constructor(action: () => Promise<A>, options: {
      readonly timeout: number | false
      readonly capacity?: number
      readonly rollingCountTimeout?: number
      readonly volumeThreshold?: number
      readonly errorThresholdPercentage?: number
      readonly resetTimeout?: number
    })
    fire(): Promise<A>
    open(): void
    shutdown(): void
  }
}
