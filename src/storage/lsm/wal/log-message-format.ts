/**
 * What a partition tells its log thread, as records of the log ring. The log thread carries them out strictly in order.
 *
 *   every message   0 u32 kind | 4 u32 publishPosition: replies of the commit ring up to here may leave when this is done
 *   group           8 a WAL group (wal-format.ts) without checksum and durableSequence, which the log thread fills in
 *   marker          nothing more: replies that waited for an earlier group may leave
 *   edit            8 u32 manifestNumber | 12 u32 offset in the manifest | 16 a manifest record (manifest-format.ts)
 *   roll            8 u32 manifestNumber of the successor | 12 u32 0 | 16 its record 0: written, synced, CURRENT switched to it
 *   stop            seal the segment, sync everything, close, and end
 *   sync            nothing more: everything before it is synced, whatever the durability, before any more replies leave
 *   publish         8 u32 channel | 12 u32 position: replies in that channel's commit ring up to here may leave
 *   forget          8 u32 channel | 12 u32 0: it is not named again
 *
 * The publishPosition of every message is that of the opener's commit ring, channel 0; the others' positions come by `publish`.
 */
export const logGroup = 1;
export const logMarker = 2;
export const logEdit = 3;
export const logStop = 4;
export const logRoll = 5;
export const logSync = 6;
export const logPublish = 7;
export const logForget = 8;

export const logKindOffset = 0;
export const logPublishPositionOffset = 4;
export const logHeaderSize = 8;
export const logEditManifestOffset = 8;
export const logEditOffsetOffset = 12;
export const logEditHeaderSize = 16;
export const logChannelOffset = 8;
export const logChannelPositionOffset = 12;
export const logChannelSize = 16;
