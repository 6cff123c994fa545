// The answers of PutObjectAnnotation and ListObjectAnnotations.
import type { Annotation } from '../../../objects/object-store.ts'
import { container, document, element, optionalElement, xmlTime } from '../write.ts'

/** Root PutObjectAnnotationResult: key and name as they were sent. */
export function putAnnotationDocument(key: string, name: string): string {
  const content = element('Key', key) + element('AnnotationName', name)
  return document('PutObjectAnnotationResult', content)
}

/** One page of a listing of annotations. */
export interface AnnotationPage {
  bucket: string
  key: string
  prefix: string
  limit: number
  token: string | undefined
  nextToken: string | undefined
  annotations: readonly Annotation[]
}

/** Root ListObjectAnnotationsResult; Annotations is there when it is empty, a prefix or token only when there is one. */
export function listAnnotationsDocument(page: AnnotationPage): string {
  const { annotations, prefix, token, nextToken } = page
  const content = [
    container('Annotations', annotations.map(entry).join('')),
    element('Bucket', page.bucket),
    element('Key', page.key),
    optionalElement('AnnotationPrefix', prefix || undefined),
    element('MaxAnnotationResults', page.limit),
    element('AnnotationCount', annotations.length),
    optionalElement('ContinuationToken', token),
    optionalElement('NextContinuationToken', nextToken),
  ]
  return document('ListObjectAnnotationsResult', content.join(''))
}

function entry({ name, modifiedMs, etag, checksum, bytes }: Annotation): string {
  const content = [
    element('AnnotationName', name),
    element('LastModified', xmlTime(modifiedMs)),
    element('ETag', `"${etag}"`),
    optionalElement('ChecksumAlgorithm', checksum?.algorithm),
    element('Size', bytes),
  ]
  return container('AnnotationEntry', content.join(''))
}
