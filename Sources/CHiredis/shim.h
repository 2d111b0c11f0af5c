// hiredis as Debian ships it. Its variadic calls are not used: commands are written as RESP by
// RedisCommand and handed over with redisAsyncFormattedCommand.
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
