module github.com/openvideobox/kernel-pc

go 1.26.0
