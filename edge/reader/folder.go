package reader

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Folders inside a watched folder.
const (
	doneFolder   = "done"   // pictures whose codes were handed on
	failedFolder = "failed" // pictures without a readable code, and what an interruption left behind
	takenFolder  = ".taken" // the picture that is being read
)

// Bounds of the interval at which a folder is looked at.
const (
	MinPoll = 20 * time.Millisecond
	MaxPoll = time.Minute
)

var (
	errInterrupted = errors.New("was interrupted while this picture was read, and may have handed on its code: " +
		"it is in failed/; put it back to read it again")
	errReplaced = errors.New("the watched folder was removed or replaced")
)

// Folder watches a folder for pictures, such as a camera or an upload puts there, looking every
// interval (MinPoll to MaxPoll). A file is taken when its size and time are the same in two looks, so
// that none is taken half written. Its codes are handed on, and it is moved to done/ or failed/, under
// another name when its own is taken there. Subfolders, links, and names with a dot in front are left
// alone.
//
// No picture is handed on twice, even if the machine stops in between: a file is moved away before
// it is read, and one that was being read at the time is reported at the next start, and in failed/
// then. A folder has one watcher.
//
// Run ends with an error when the folder is gone.
func Folder(dir string, interval time.Duration) (Source, error) {
	if interval < MinPoll || interval > MaxPoll {
		return nil, fmt.Errorf("reader: interval of %v: want %v to %v", interval, MinPoll, MaxPoll)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("reader: folder: %w", err)
	}
	f := &folder{dir: dir, root: root, interval: interval, sizes: map[string]look{}}
	if err := f.prepare(); err != nil {
		root.Close()
		return nil, fmt.Errorf("reader: folder %s: %w", dir, err)
	}
	return f, nil
}

type folder struct {
	dir      string
	root     *os.Root // nothing outside is touched, whatever links are put in
	interval time.Duration
	sizes    map[string]look // of the last look
}

// look is what a file looked like.
type look struct {
	size     int64
	modified time.Time
}

func (f *folder) prepare() error {
	for name, mode := range map[string]fs.FileMode{doneFolder: 0o755, failedFolder: 0o755, takenFolder: 0o700} {
		if err := f.root.Mkdir(name, mode); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if info, err := f.root.Lstat(name); err != nil {
			return err
		} else if !info.IsDir() {
			return fmt.Errorf("%s is no folder", name)
		}
	}
	return nil
}

func (f *folder) Run(ctx context.Context, found func(Scan)) error {
	defer f.root.Close()
	if err := f.reportInterrupted(found); err != nil {
		return fmt.Errorf("reader: folder %s: %w", f.dir, err)
	}
	for ctx.Err() == nil {
		if err := f.look(ctx, found); err != nil {
			return fmt.Errorf("reader: folder %s: %w", f.dir, err)
		}
		sleep(ctx, f.interval)
	}
	return nil
}

func (f *folder) reportInterrupted(found func(Scan)) error {
	left, err := fs.ReadDir(f.root.FS(), takenFolder)
	if err != nil {
		return err
	}
	for _, entry := range left {
		if err := f.move(filepath.Join(takenFolder, entry.Name()), failedFolder); err != nil {
			return err
		}
		found(Scan{Source: filepath.Join(f.dir, entry.Name()), Err: fmt.Errorf("reader: %w", errInterrupted)})
	}
	return nil
}

// look takes the files that have not changed since the last look, in the order of their names.
func (f *folder) look(ctx context.Context, found func(Scan)) error {
	if err := f.stillThere(); err != nil {
		return err
	}
	entries, err := fs.ReadDir(f.root.FS(), ".")
	if err != nil {
		return err
	}
	before := f.sizes
	f.sizes = map[string]look{}
	for _, entry := range entries {
		now, is := lookAt(entry)
		if !is || ctx.Err() != nil {
			continue
		}
		if before[entry.Name()] != now {
			f.sizes[entry.Name()] = now
			continue
		}
		if err := f.take(entry.Name(), found); err != nil {
			return err
		}
	}
	return nil
}

// stillThere finds out that the path leads elsewhere: into the folder that was opened nobody would
// put a picture any more.
func (f *folder) stillThere() error {
	opened, err := f.root.Stat(".")
	if err != nil {
		return err
	}
	if named, err := os.Stat(f.dir); err != nil || !os.SameFile(opened, named) {
		return errReplaced
	}
	return nil
}

// lookAt answers false for what is no picture file, or is there no more.
func lookAt(entry fs.DirEntry) (look, bool) {
	if !entry.Type().IsRegular() || strings.HasPrefix(entry.Name(), ".") {
		return look{}, false
	}
	info, err := entry.Info()
	if err != nil {
		return look{}, false
	}
	return look{info.Size(), info.ModTime()}, true
}

// take moves a file out of everybody's reach, reads it and puts it where it belongs.
func (f *folder) take(name string, found func(Scan)) error {
	taken := filepath.Join(takenFolder, name)
	if err := f.root.Rename(name, taken); errors.Is(err, fs.ErrNotExist) {
		return nil // taken back, or by another watcher
	} else if err != nil {
		return err
	}
	if err := f.read(taken, filepath.Join(f.dir, name), found); err != nil {
		return f.move(taken, failedFolder)
	}
	return f.move(taken, doneFolder)
}

var errNotRegular = errors.New("not a regular file any more")

// read looks once more at what it is: a name can have become a link or a pipe since it was listed.
func (f *folder) read(taken, path string, found func(Scan)) error {
	info, err := f.root.Lstat(taken)
	if err == nil && !info.Mode().IsRegular() {
		err = errNotRegular
	}
	var file *os.File
	if err == nil {
		file, err = f.root.Open(taken)
	}
	if err != nil {
		found(Scan{Source: path, Err: fmt.Errorf("reader: picture %s: %w", path, err)})
		return err
	}
	defer file.Close()
	return readPicture(file, path, found)
}

// maxStemSize leaves room for a number in a name of 255 bytes.
const maxStemSize = 200

// move puts a file into a folder, under a free name: what is there already is never overwritten.
func (f *folder) move(from, to string) error {
	name := filepath.Base(from)
	extension := filepath.Ext(name)
	stem := strings.TrimSuffix(name, extension)
	if len(stem) > maxStemSize {
		stem, extension = stem[:maxStemSize], "" // a name of the longest kind has no room for a number
	}
	for i := 2; ; i++ {
		target := filepath.Join(to, name)
		if _, err := f.root.Lstat(target); errors.Is(err, fs.ErrNotExist) {
			return f.root.Rename(from, target)
		} else if err != nil {
			return err
		}
		name = stem + "-" + strconv.Itoa(i) + extension
	}
}
