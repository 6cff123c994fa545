// Types that look alike but must not be mixed: a key is not an upload id.

declare const brand: unique symbol

/** A `Base` that only code which has checked it may call a `Name`. */
export type Brand<Base, Name extends string> = Base & { readonly [brand]: Name }
