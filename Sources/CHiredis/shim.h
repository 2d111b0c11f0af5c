#ifndef VISION_CHIREDIS_SHIM_H
#define VISION_CHIREDIS_SHIM_H
// hiredis as Debian ships it. Its variadic calls are not used: commands are written as RESP by
// RedisCommand and handed over with redisAsyncFormattedCommand.
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <hiredis/sds.h>

// sdslen is a static inline over a switch of packed headers, which Swift does not import.
static inline size_t vision_sds_length(const char *text) { return sdslen((sds)text); }
#endif
