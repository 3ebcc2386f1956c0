/** Indexes of the Int32 words the threads of the ring's stress test share; each on a line of its own. */
export const consumedIndex = 0;
export const publishIndex = 32;
export const doneIndex = 64;
