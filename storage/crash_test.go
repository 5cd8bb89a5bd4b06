package storage

func runAsChild() bool { return false }
