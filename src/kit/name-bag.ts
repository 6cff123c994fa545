// An object that holds values by names from outside, such as headers: empty of everything but them, whatever they are.

/**
 * Made by a constructor, because V8 keeps such objects fast where those of Object.create(null) are dictionaries. Its
 * prototype is as empty as theirs: a name may be `constructor` or `__proto__`.
 */
export const NameBag = function NameBag() {} as unknown as new () => Record<
  string,
  string | undefined
>
NameBag.prototype = Object.create(null)
