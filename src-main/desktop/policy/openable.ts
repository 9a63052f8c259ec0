import path from 'node:path';

/** Ends of names that systems run, or that make another program run something, when they are opened. */
const running: ReadonlySet<string> = new Set(
  (
    'app appimage application appref-ms bash bat bin cmd com command cpl csh desktop dmg exe fish gadget hta inf ins ' +
    'inx iso isu jar job js jse jnlp ksh lnk mde msc msh msi msp mst osx out paf pif pkg pl ps1 ps1xml ps2 ps2xml psc1 psc2 psd1 psm1 py ' +
    'pyc pyw rb reg rgs run scf scpt scptd scr sct settingcontent-ms sh shb shs terminal u3p url vb vbe vbs vbscript vhd ' +
    'vhdx website webloc workflow ws wsc wsf wsh xbap xll zsh deb rpm flatpakref snap apk library-ms search-ms'
  ).split(' '),
);

/** Kinds that are opened by their name everywhere, whatever the executable bit (which some file systems set on all files). */
const documents: ReadonlySet<string> = new Set(
  (
    'pdf txt md csv rtf odt ods odp doc docx xls xlsx ppt pptx epub png jpg jpeg gif webp avif bmp tif tiff heic mp3 m4a aac ' +
    'ogg oga opus wav flac mp4 m4v mov webm mkv avi zip tar gz xz zst 7z'
  ).split(' '),
);

/**
 * Whether a file of a drive may be handed to the system's program for it. What others put into a shared folder must not
 * run here because of a double click; such files are shown in their folder instead.
 * @param mode permission bits of the file
 */
export function mayOpen(file: string, mode: number, platform: NodeJS.Platform): boolean {
  // Windows leaves off dots and spaces at the end of a name.
  const name = path.basename(file).replace(/[. ]+$/, '');
  const kind = path.extname(name).slice(1).toLowerCase();
  if (running.has(kind)) return false;
  return platform === 'win32' || (mode & 0o111) === 0 || documents.has(kind);
}
