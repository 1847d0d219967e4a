#ifndef VIDEOBOX_OPENH264_H
#define VIDEOBOX_OPENH264_H

#include <stdint.h>

typedef struct {
	const uint8_t *plane[3]; // valid until the next call
	int width, height, ystride, cstride;
	int state; // libopenh264's DECODING_STATE bits
} vb_openh264_picture;

void *vb_openh264_open(void);
void vb_openh264_close(void *d);

// Decodes one access unit. Returns 1 when p holds its picture, else 0.
int vb_openh264_decode(void *d, const uint8_t *au, int size, vb_openh264_picture *p);

#endif
