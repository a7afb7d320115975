/** What is written to Gemini's generateContent, as far as this gateway writes it. https://ai.google.dev/api/generate-content */
import type { JsonObject } from '../../domain/request.ts';

export type Part =
  | { readonly text: string }
  | { readonly inlineData: { readonly mimeType: string; readonly data: string; readonly displayName?: string } }
  | { readonly fileData: { readonly fileUri: string; readonly mimeType?: string } }
  | {
      readonly functionCall: { readonly id?: string; readonly name: string; readonly args: JsonObject };
      readonly thoughtSignature?: string;
    }
  | {
      readonly functionResponse: {
        readonly id?: string;
        readonly name: string;
        readonly response: JsonObject;
        readonly parts?: readonly Part[];
      };
    };

export interface Content {
  readonly role: 'user' | 'model';
  readonly parts: readonly Part[];
}
