'use strict';
// What the scripts of both SDKs share: a line of JSON comes in, a line of JSON goes out.

const { createInterface } = require('node:readline');

const METHODS = {
  boolean: 'getBooleanDetails',
  string: 'getStringDetails',
  integer: 'getNumberDetails',
  float: 'getNumberDetails',
  object: 'getObjectDetails',
};

/** Answers each line of standard input with one line, in order. */
async function answerEachLine(answer) {
  for await (const line of createInterface({ input: process.stdin })) {
    process.stdout.write(`${JSON.stringify(await answer(JSON.parse(line)))}\n`);
  }
}

/** Evaluates a flag; what the SDK leaves undefined is left out. */
async function evaluate(client, { flag, type, otherwise, context }) {
  const details = await client[METHODS[type]](flag, otherwise, context);
  const { value, variant, reason, errorCode, errorMessage, flagMetadata } = details;
  return { value, variant, reason, errorCode, errorMessage, flagMetadata };
}

module.exports = { answerEachLine, evaluate };
