/*
 * last_words.h: why a server did not come up, for its supervisor.
 */
#ifndef FAWKES_LAST_WORDS_H
#define FAWKES_LAST_WORDS_H

/* In the postmaster, once fence_watermark is mapped. */
extern void last_words_install_hook(void);

#endif
