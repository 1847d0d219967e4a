// Package hls makes live HLS (RFC 8216) from access units: a segmenter whose
// numbers and bytes follow from program time alone, so that a main and a
// backup origin agree without talking to each other, the playlists, and what
// HTTP needs to serve them.
//
// Segment N holds program time [2N, 2N+2) s. A number that is missing is
// listed with EXT-X-GAP, a discontinuity is where the stream's epoch changes
// and nowhere else, a segment that has no first half is listed from its first
// IDR. After a restart the numbers go on by construction.
//
// Tested with RTMP's rounding, reordering and losses, with ffmpeg as a
// publisher, and with ffprobe, hls.js and m3u8 rules as readers.
package hls
