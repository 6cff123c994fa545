// Several providers as one: the first makes new data keys, each unwraps its own. So a store that changes its provider
// still reads what it wrote before.
import {
  type KeyProvider,
  KeyProviderUnavailable,
  type KeyRequest,
  type NewDataKey,
} from './key-provider.ts'

/** A provider and the first bytes of the keys that it wraps. */
export interface ChainLink {
  wrappedBy: readonly number[]
  provider: KeyProvider
}

/** `links`: the one for new keys first. */
export function chainKeys(links: readonly [ChainLink, ...ChainLink[]]): KeyProvider {
  return {
    newDataKey: (request: KeyRequest): Promise<NewDataKey> => links[0].provider.newDataKey(request),
    unwrap: async (wrappedKey, request) => {
      const link = links.find(({ wrappedBy }) => wrappedBy.includes(wrappedKey[0] ?? 0))
      if (!link)
        throw new KeyProviderUnavailable('the provider of this key is not configured any more')
      return await link.provider.unwrap(wrappedKey, request)
    },
  }
}
