/* Lines of text for people, without printf, on the one line that there is. */
#ifndef APP_TEXT_H
#define APP_TEXT_H

/* Write `text`, in which each # stands for the next value, a uint32_t, in decimal, each ~ for it as
 * two hexadecimal digits, and each $ for a text that is written as it is. Lines end with \r\n,
 * which sends everything. */
void app_text(const char *text, ...);

#endif
