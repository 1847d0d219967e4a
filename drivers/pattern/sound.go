package pattern

import "github.com/openvideobox/videobox/internal/media"

// RoomTone fills dst, interleaved stereo, from sample number pos (since 1970, 48
// kHz) on with noise of about -60 dBFS: a room with nobody speaking, told apart
// from a dead line.
func RoomTone(dst []int16, pos int64) {
	const peak = 57 // uniform noise of this peak has -60 dBFS
	for i := range dst {
		x := uint64(pos)*media.Channels + uint64(i)
		// splitmix64: the same noise for the same sample, wherever it is made.
		x += 0x9e3779b97f4a7c15
		x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
		x = (x ^ x>>27) * 0x94d049bb133111eb
		dst[i] = int16(int64(x>>33)%(2*peak+1) - peak)
	}
}
