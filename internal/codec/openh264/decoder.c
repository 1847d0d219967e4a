#include "decoder.h"

#include <limits.h>
#include <string.h>
#include <wels/codec_api.h>

static long init(ISVCDecoder *d)
{
	SDecodingParam p;
	int quiet = WELS_LOG_QUIET;

	memset(&p, 0, sizeof p);
	p.uiTargetDqLayer = UCHAR_MAX;
	p.eEcActiveIdc = ERROR_CON_DISABLE; // half a picture is no still
	p.sVideoProperty.size = sizeof p.sVideoProperty;
	p.sVideoProperty.eVideoBsType = VIDEO_BITSTREAM_AVC;
	(*d)->SetOption(d, DECODER_OPTION_TRACE_LEVEL, &quiet);
	return (*d)->Initialize(d, &p);
}

void *vb_openh264_open(void)
{
	ISVCDecoder *d = NULL;
	if (WelsCreateDecoder(&d) != 0 || !d)
		return NULL;
	if (init(d) != 0) {
		WelsDestroyDecoder(d);
		return NULL;
	}
	return d;
}

void vb_openh264_close(void *decoder)
{
	ISVCDecoder *d = decoder;
	(*d)->Uninitialize(d);
	WelsDestroyDecoder(d);
}

int vb_openh264_decode(void *decoder, const uint8_t *au, int size, vb_openh264_picture *p)
{
	ISVCDecoder *d = decoder;
	unsigned char *plane[3] = {NULL, NULL, NULL};
	SBufferInfo info;

	memset(p, 0, sizeof *p);
	memset(&info, 0, sizeof info);
	p->state = (*d)->DecodeFrameNoDelay(d, au, size, plane, &info);
	// High profile pictures wait for reordering; there is nothing to wait for.
	if (p->state == dsErrorFree && info.iBufferStatus != 1)
		p->state = (*d)->FlushFrame(d, plane, &info);
	if (p->state != dsErrorFree || info.iBufferStatus != 1 || !plane[0] || !plane[1] || !plane[2]) {
		// Start over: what a damaged picture left behind must not meet the next.
		(*d)->Uninitialize(d);
		init(d);
		return 0;
	}
	for (int i = 0; i < 3; i++)
		p->plane[i] = plane[i];
	p->width = info.UsrData.sSystemBuffer.iWidth;
	p->height = info.UsrData.sSystemBuffer.iHeight;
	p->ystride = info.UsrData.sSystemBuffer.iStride[0];
	p->cstride = info.UsrData.sSystemBuffer.iStride[1];
	return 1;
}
