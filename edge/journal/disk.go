package journal

import (
	"os"
	"path/filepath"
)

// osFile is the disk of a real terminal.
type osFile struct{ *os.File }

func (f osFile) Sync() error { return syncData(f.File) }

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// syncParent makes the name of a new file durable. Without it a power cut can lose the whole file,
// synced entries included.
func syncParent(path string) error {
	return syncFolder(filepath.Dir(path))
}
