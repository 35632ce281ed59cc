// Words for the person: one line each, on stderr, since stdout belongs to the program that is started.

/** Tells what is being done. */
export function say(text) {
  process.stderr.write(`podwire: ${text}\n`);
}

/** A failure that the person can mend; shown without a stack. */
export class Refusal extends Error {}

/** Runs a script's main function; a refusal ends it with its own line and code 1. */
export async function runMain(main) {
  // What is set up has to be readable for the ids of a lab, which are nobody's on this machine.
  process.umask(0o022);
  try {
    process.exitCode = (await main()) ?? 0;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    say(error.message);
    process.exitCode = 1;
  }
}
