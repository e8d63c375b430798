"""The image files that a dataset takes: all of a folder, or those that a list names."""

from collections import Counter
from pathlib import PurePath

from mmengine import fileio

from .image_files import match_images


class ImageListing:
    """Mixin of a dataset with ``ann_file``, ``img_suffix``, ``data_root``, ``data_prefix`` and ``backend_args``."""

    def _has_list_file(self) -> bool:
        return bool(self.ann_file) and not fileio.isdir(self.ann_file, self.backend_args)

    def _stems_of_list_file(self) -> list[str]:
        if not fileio.isfile(self.ann_file, self.backend_args):
            raise FileNotFoundError(
                f'ann_file {self.ann_file!r} does not exist (data_root={self.data_root!r}). Give the path of '
                'a text file with one image name per line, or leave ann_file empty to use the whole folder.'
            )
        lines = fileio.list_from_file(self.ann_file, backend_args=self.backend_args)
        return [line.strip() for line in lines if line.strip()]

    def _images_of_list(self, stems: list[str], img_dir: str | None) -> dict[str, str]:
        """Stem to file of the images that a list names."""
        if self.img_suffix is not None:
            return {stem: stem + self.img_suffix for stem in stems}
        listed = self._images_of_folder(img_dir)
        missing = [stem for stem in stems if stem not in listed]
        if missing:
            raise FileNotFoundError(
                f'ann_file {self.ann_file!r} lists {missing[0]!r}, but {img_dir!r} has no such image '
                f'({len(missing)} of {len(stems)} are missing). Correct the list, or data_prefix.'
            )
        return {stem: listed[stem] for stem in stems}

    def _images_of_folder(self, img_dir: str | None, suffix: str | None = '') -> dict[str, str]:
        """Stem to file of the images below a folder, both relative to it; ``suffix=''``: of ``img_suffix``."""
        suffix = self.img_suffix if suffix == '' else suffix
        if not img_dir or not fileio.isdir(img_dir, self.backend_args):
            raise FileNotFoundError(
                f'image folder {img_dir!r} does not exist (data_root={self.data_root!r}, data_prefix='
                f'{self.data_prefix}). Put the images there in the layout img_dir/<split>, ann_dir/<split>, '
                'or correct data_root / data_prefix in the dataset config.'
            )
        listed = list(
            fileio.list_dir_or_file(img_dir, list_dir=False, recursive=True, backend_args=self.backend_args)
        )
        try:
            images = match_images(listed, suffix)
        except ValueError as error:
            raise ValueError(f'{img_dir}: {error}') from None
        if not images:
            suffixes = Counter(PurePath(name).suffix for name in listed)
            content = ', '.join(f'{n} {suffix or "without suffix"}' for suffix, n in suffixes.most_common(5))
            raise ValueError(
                f'no file in {img_dir!r} ends with img_suffix={suffix!r}; it contains '
                f'{content or "no files"}. Correct img_suffix (None takes every image), or put the images there.'
            )
        return images
