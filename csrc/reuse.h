/* Whether freed objects and their memory are kept for reuse, and small storages inside their objects. Not under
 * AddressSanitizer, which finds what is read after it was freed, or beyond its end, only where everything is a block of its
 * own, as large as was asked for. */
#ifndef FG_REUSE_H
#define FG_REUSE_H

#if defined(__has_feature)
#define FG_ASAN __has_feature(address_sanitizer)
#elif defined(__SANITIZE_ADDRESS__)
#define FG_ASAN 1
#else
#define FG_ASAN 0
#endif

enum { FG_REUSES = !FG_ASAN };

#endif
