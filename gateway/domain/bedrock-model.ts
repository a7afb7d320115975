/**
 * The id in a model string: a foundation model, an inference profile, or an ARN of either, of an imported or of a
 * provisioned model. https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-use.html
 */

/** LiteLLM lets the API and the region stand in front of the id: `bedrock/converse/...`, `bedrock/us-west-2/...`. */
export function modelIdOf(model: string): string {
  const id = model.replace(/^(converse|converse_like|invoke)\//, '');
  return regionOf(model) === undefined ? id : id.slice(id.indexOf('/') + 1);
}

/** The region that the model string itself names, in front of the id or in an ARN. */
export function regionOf(model: string): string | undefined {
  const id = model.replace(/^(converse|converse_like|invoke)\//, '');
  return /^([a-z]{2}(?:-[a-z]+)+-\d)\//.exec(id)?.[1] ?? undefined;
}

/** Of `arn:aws:bedrock:us-east-1:123456789012:inference-profile/...`. */
export const regionOfArn = (id: string): string | undefined => /^arn:[^:]+:bedrock:([^:]+):/.exec(id)?.[1];

/** One segment of a path; an ARN holds colons and slashes. */
export const encodeModelId = (id: string): string =>
  encodeURIComponent(id).replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
